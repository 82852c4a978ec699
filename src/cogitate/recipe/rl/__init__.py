"""What RL stages share: the loop's parts, rewards by reward models, and the watch over reward hacking."""
