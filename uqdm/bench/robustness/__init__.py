"""What codecs do with damaged files, and whether whole files decode to the same pictures in other processes."""
