"""What does a DICOM file show, and what does its header say of that?"""
