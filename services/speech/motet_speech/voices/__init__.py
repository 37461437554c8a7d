"""What speaks, behind one port."""
