"""The ways out: a notice in, a delivery out. How it looks and how it is sent are apart, channel by channel."""
