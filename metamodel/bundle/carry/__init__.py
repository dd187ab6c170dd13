"""What one bundle hands on to the next: how it was trained, its contests, and the children of groups that stay.

Files to files: no child is opened, and nothing of fitting or training is known here.
"""
