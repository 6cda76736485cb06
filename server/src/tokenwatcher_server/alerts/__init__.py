"""Budgets that speak up: rules, their evaluation, and deliveries that arrive."""
