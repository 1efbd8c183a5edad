"""What the judge's process and the backend's process share: messages, their channel, and memory for arrays."""
