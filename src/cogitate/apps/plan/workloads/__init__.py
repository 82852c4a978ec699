"""Every kind of stage as work: how many tokens are generated and learnt from, by which model, in how many steps."""
