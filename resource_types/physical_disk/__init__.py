"""How does a disk follow its group, and how is it kept from two writers? I/O.

One process a node and disk, the *session* (session.py), holds the disk and carries all of its data: a SCSI reservation
belongs to one session with the target, so whoever has another is fenced off with the enemy. The session serves the disk as
NBD on a Unix socket; the resource type (resource.py) starts it, has it arbitrate, and mounts what it serves.

back_end.py says what a back end offers; scsi_disk.py and image.py are the two. This file imports nothing: the session
process starts in a few milliseconds because it loads only its own part.
"""
