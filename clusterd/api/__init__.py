"""I/O. The door for operators: REST, the event stream and the web page. Everything `clusterctl` does goes through it."""
