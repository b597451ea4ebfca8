"""One exchange with one endpoint over aiohttp: the only client of remote endpoints.

Network code here moves bytes and stamps times; what they mean is decided in `dialects` and `judge`.
"""
