from django.urls import include, path

urlpatterns = [path("", include("migration.urls"))]
