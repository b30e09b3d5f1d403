"""Pure. What goes over the wire and into the log: code generated from protos/, never edited by hand."""
