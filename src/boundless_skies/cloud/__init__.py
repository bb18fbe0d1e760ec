"""The service that nodes talk to.

Floors, from the door to the ground: ``main`` → ``factory`` → ``handlers`` and
``pages`` → ``services`` → ``storage`` → ``schema``. ``domain`` holds the rules
and knows neither SQL nor HTTP. Only ``factory`` constructs.
"""
