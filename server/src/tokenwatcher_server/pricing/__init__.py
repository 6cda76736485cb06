"""What a call costs: prices as data, names matched to them by rule, exact integer arithmetic."""
