"""The endpoints of the developer API below `/api/v1`, by resource. functions/portal mounts them."""
