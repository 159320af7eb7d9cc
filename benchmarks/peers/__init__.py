"""The same work done by others: the relay beside what people use today, on one machine, in one run."""
