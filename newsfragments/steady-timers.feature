A clock that is set, forward or back, ends no order and holds nothing up.
