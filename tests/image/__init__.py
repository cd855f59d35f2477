"""Build the image as its Dockerfile says, in roots of Debian and without a container engine, and check it.

Run by ``bin/test-image``. The instructions that our Dockerfile uses are carried out as an engine carries them
out; one that is not known here is an error, never left out.

==================  =================================================================================
``dockerfile``      reads the Dockerfile
``context``         what .dockerignore leaves of the checkout
``base``            debian:bookworm-slim, made with debootstrap
``lent``            what this machine lends a build: its way to packages, for as long as a step runs
``container``       a command in a root, in namespaces of its own: for RUN, and as ``docker run``
``launch``          the first process in there
``build``           one instruction after another, to an image
``checks_…``        what is expected of the image, as tests
==================  =================================================================================
"""
