"""No pages: the packages are called as their views call them."""

urlpatterns: list[object] = []
