"""What black-box tests are made of: a scripted upstream, the relay as a real process, a raw client,
and a judge who compares what people submitted with what upstream saw and what the relay says."""
