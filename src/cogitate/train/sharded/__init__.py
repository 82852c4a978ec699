"""One model trained by several processes (ranks): each holds a part of its weights and reads a part of every batch."""
