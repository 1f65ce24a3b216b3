pytest_plugins = ["stepwedge.pytest_plugin"]
