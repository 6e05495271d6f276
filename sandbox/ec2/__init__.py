"""EC2 as far as IMDS needs it: instances, their options, Region defaults, launch sources."""
