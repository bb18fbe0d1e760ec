"""The telescope's devices: what each can do, and how it says no."""
