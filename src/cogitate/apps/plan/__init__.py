"""What a recipe needs and costs before anyone rents it: tables of hardware and models, plans, answers, the planner's errors."""
