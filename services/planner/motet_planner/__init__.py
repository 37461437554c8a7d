"""The planner: breaks a task into steps of the mesh's skills, and answers with citations."""
