A client announces only what an issue or proof server has reached from outside, and says in a sentence what to do about the rest (`--no-self-check` announces everything, as before).
