"""Parts shared by the judge's process and the backend's process: messages, their channel, memory for arrays."""
