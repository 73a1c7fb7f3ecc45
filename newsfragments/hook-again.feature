A hook that fails is run again, after a minute and then ever later, until it ends well.
