"""Components for fedzda."""
