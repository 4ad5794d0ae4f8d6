"""Solo, quick and deliver beside each other, with people who err: what lands, what stops, and what that costs."""
