"""The JSON API: what is asked, what is answered, and the document that describes both."""
