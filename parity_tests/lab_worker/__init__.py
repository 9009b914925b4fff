"""The process in which the study lab runs Keras, planted faults and the diagnosis.

``python -m parity_tests.lab_worker`` reads messages from the standard input and answers each on the standard output;
both are preceded by their length in bytes (uint32, little-endian) and have the form of ``scratch.lab.messages``.  It is
a process of its own, because Keras takes seconds and a gigabyte to start, a planted fault changes the package that it
is planted into, and a learner's file may do anything.
"""
