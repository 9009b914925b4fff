"""The checks: functions that compare a network with Keras and return one row for each quantity."""
