"""What one writes first: the same job with a Celery task a row. It is here to be compared with, and is no product.

A row is one request, one INSERT by the ORM and one task, which loads the session's pickled trees, scores, learns,
stores them, and tells the channel layer; each open socket then renders for itself.
"""
