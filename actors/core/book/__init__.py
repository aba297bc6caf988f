"""The book: positions, orders and worth, folded from what happened. Start at `account`."""
