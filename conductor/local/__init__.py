"""What `make run` needs on a machine of one's own: embedded servers, processes, the demo."""
