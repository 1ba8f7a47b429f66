"""The demo: a temporary project with a scripted agent, worked on by the real program as child processes."""
