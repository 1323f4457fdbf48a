"""What our callers send and get: schemas, encoders and error replies per dialect."""
