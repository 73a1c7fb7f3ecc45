The AutoTLS broker dials one address for strangers 32 times in ten minutes at most, however many peers name it; the answer says when to try again.
