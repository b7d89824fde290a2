"""Where the bytes of artifacts are: by content, under names that the server makes, whatever users say."""
