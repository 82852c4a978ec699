"""The same work done by Cogitate and by what people would use instead: `make bench-peers`.

The runners also run in the environments of other libraries, so this package's own files import nothing.
"""
