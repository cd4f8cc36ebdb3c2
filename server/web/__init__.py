"""What all pages for a browser share: sessions, texts, assets, navigation and forms."""
