"""Right networks in the styles in which people write them; the diagnosis must find no mistake in any of them."""
