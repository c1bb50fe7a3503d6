"""POP3's commands, one file each; importing the module registers it."""
