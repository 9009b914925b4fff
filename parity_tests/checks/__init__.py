"""Checks: functions that compare scratch with Keras, one module for each family; ``registry`` lists them."""
