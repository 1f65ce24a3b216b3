"""What Locust loads: ``stepwedge load``, or by hand ``locust -f load/locustfile.py`` with the variables of ``stepwedge.load.users``."""

from stepwedge.load.users import Day

__all__ = ["Day"]
