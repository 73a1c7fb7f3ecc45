Several issue servers may share one PostgreSQL (`store`): they never order the same certificate twice, and carry on the orders of one that died.
