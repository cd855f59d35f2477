"""The manual held against what is so: README.rst and docs/.

=============  =========================================================================================
``pages``      the pages, and the commands on them
``scene``      where a page's commands are run: services, directories, what stands in the place of what
``before``     what a page takes to be done before its first command
``omitted``    the commands that no test runs, each with the reason
``release_3``  the options of pypx 3
=============  =========================================================================================
"""
