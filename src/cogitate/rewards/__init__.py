"""The front desk: what a completion earns. `grade.py` asks the grader of its kind, `reward.py` adds the parts."""
