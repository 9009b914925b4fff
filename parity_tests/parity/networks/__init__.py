"""Right networks that are not ours, one for each style of writing; ``foreign_faults`` plants mistakes into their text."""
