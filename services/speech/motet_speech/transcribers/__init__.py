"""What hears: Whisper in three shapes, behind one port."""
